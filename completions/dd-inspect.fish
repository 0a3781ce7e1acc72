complete -c dd-inspect -l base -d 'An image that the receiver holds; may be given several times' -r
complete -c dd-inspect -l target -d 'An image to be rebuilt; may be given several times' -r
complete -c dd-inspect -l platform -d 'Take only the images for this platform; the others become gaps' -r
complete -c dd-inspect -l verify -d 'Check every blob of a delta package; no base is needed' -r -F
complete -c dd-inspect -s o -l output -d 'Write the records to FILE, which appears when they are complete, instead of stdout' -r -F
complete -c dd-inspect -l store -d 'Keep unpacked layers and proven encodings in DIR' -r -F
complete -c dd-inspect -l format -d 'What stdout gets: records, or a table for people (auto: a table on a terminal)' -r -f -a "auto\t'A table on a terminal, records elsewhere'
ndjson\t'Newline-delimited JSON'
table\t'Text for people'"
complete -c dd-inspect -l progress -d 'Show progress on stderr (auto: on a terminal)' -r -f -a "auto\t'A display when stderr is a terminal'
lines\t'A line now and then, for logs'
off\t'Nothing'"
complete -c dd-inspect -l authfile -d 'File with credentials for registries' -r -F
complete -c dd-inspect -l creds -d 'Credentials for the registry' -r
complete -c dd-inspect -l registry-token -d 'Bearer token for the registry' -r
complete -c dd-inspect -l tls-verify -d 'Require HTTPS and check certificates [default: true]' -r -f -a "true\t''
false\t''"
complete -c dd-inspect -l cert-dir -d 'Directory with certificates and keys for the registry' -r -F
complete -c dd-inspect -l retry-times -d 'Try again this many times' -r
complete -c dd-inspect -l policy -d 'Signature policy file' -r -F
complete -c dd-inspect -l registries-conf -d 'Configuration of registries and mirrors' -r -F
complete -c dd-inspect -l registries.d -d 'Directory with configurations of signature storage' -r -F
complete -c dd-inspect -l all-platforms -d 'Take all platforms of an image in a registry (files are taken whole anyway)'
complete -c dd-inspect -l store-prune -d 'Only tidy the store: remove what was not used for a day, down to 20 GiB or half of what is free'
complete -c dd-inspect -s f -l force -d 'Replace FILE even if it holds something else than records'
complete -c dd-inspect -s q -l quiet -d 'Say nothing but errors on stderr'
complete -c dd-inspect -s v -l verbose -d 'Say on stderr what is found and done'
complete -c dd-inspect -l no-creds -d 'Use no credentials'
complete -c dd-inspect -l insecure-policy -d 'Check no signature policy'
complete -c dd-inspect -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dd-inspect -s V -l version -d 'Print version'
