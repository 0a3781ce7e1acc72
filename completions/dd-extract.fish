complete -c dd-extract -s j -l jobs -d 'Work on N layers at a time [default: the number of processors]' -r
complete -c dd-extract -l memory -d 'Take about SIZE bytes of memory at most; K, M and G are understood' -r
complete -c dd-extract -s o -l output -d 'Write the records to FILE, which appears when they are complete, instead of stdout' -r -F
complete -c dd-extract -l authfile -d 'File with credentials for registries' -r -F
complete -c dd-extract -l creds -d 'Credentials for the registry' -r
complete -c dd-extract -l registry-token -d 'Bearer token for the registry' -r
complete -c dd-extract -l tls-verify -d 'Require HTTPS and check certificates [default: true]' -r -f -a "true\t''
false\t''"
complete -c dd-extract -l cert-dir -d 'Directory with certificates and keys for the registry' -r -F
complete -c dd-extract -l retry-times -d 'Try again this many times' -r
complete -c dd-extract -l policy -d 'Signature policy file' -r -F
complete -c dd-extract -l registries-conf -d 'Configuration of registries and mirrors' -r -F
complete -c dd-extract -l registries.d -d 'Directory with configurations of signature storage' -r -F
complete -c dd-extract -l store -d 'Keep unpacked layers and proven encodings in DIR' -r -F
complete -c dd-extract -l format -d 'What stdout gets: records, or a table for people (auto: a table on a terminal)' -r -f -a "auto\t'A table on a terminal, records elsewhere'
ndjson\t'Newline-delimited JSON'
table\t'Text for people'"
complete -c dd-extract -l progress -d 'Show progress on stderr (auto: on a terminal)' -r -f -a "auto\t'A display when stderr is a terminal'
lines\t'A line now and then, for logs'
off\t'Nothing'"
complete -c dd-extract -l store-prune -d 'Only tidy the store: remove what was not used for a day, down to 20 GiB or half of what is free'
complete -c dd-extract -s f -l force -d 'Replace FILE even if it holds something else than records'
complete -c dd-extract -l no-creds -d 'Use no credentials'
complete -c dd-extract -l insecure-policy -d 'Check no signature policy'
complete -c dd-extract -s q -l quiet -d 'Say nothing but errors on stderr'
complete -c dd-extract -s v -l verbose -d 'Say on stderr what is found and done'
complete -c dd-extract -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dd-extract -s V -l version -d 'Print version'
