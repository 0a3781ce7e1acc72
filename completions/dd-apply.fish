complete -c dd-apply -s b -l base -d 'An image that the package was made against, in any form; may be given several times' -r
complete -c dd-apply -s o -l output -d 'Where the images go: FILE, `-` for stdout, or transport:reference' -r
complete -c dd-apply -l image -d 'Rebuild only this image of the package, by name or digest; may be given several times' -r
complete -c dd-apply -l platform -d 'Rebuild only images for these platforms; others become gaps' -r
complete -c dd-apply -l expect -d 'Fail before work unless the package rebuilds this: [manifest=|index=|config=|file=]sha256:…' -r
complete -c dd-apply -l name -d 'Give the image this name instead of those in the package; may be given several times' -r
complete -c dd-apply -l digestfile -d 'Write the digests of the images to FILE, one a line: of the manifest, or of the configuration where the output has none' -r -F
complete -c dd-apply -l memory -d 'Use at most this much memory [default: 96 MiB or what one layer needs, with --jobs what is available]' -r
complete -c dd-apply -l scratch -d 'Use at most this much scratch space' -r
complete -c dd-apply -l scratch-dir -d 'Directory for scratch files [default: beside the output, else $TMPDIR or /var/tmp]' -r -F
complete -c dd-apply -s j -l jobs -d 'Rebuild this many layers at once [default: one for each processor, as --memory allows]' -r
complete -c dd-apply -l records -d 'Write the records to FILE instead of stdout; with --output - there are none otherwise' -r -F
complete -c dd-apply -l authfile -d 'File with credentials for registries' -r -F
complete -c dd-apply -l creds -d 'Credentials for the registry' -r
complete -c dd-apply -l registry-token -d 'Bearer token for the registry' -r
complete -c dd-apply -l tls-verify -d 'Require HTTPS and check certificates [default: true]' -r -f -a "true\t''
false\t''"
complete -c dd-apply -l cert-dir -d 'Directory with certificates and keys for the registry' -r -F
complete -c dd-apply -l retry-times -d 'Try again this many times' -r
complete -c dd-apply -l policy -d 'Signature policy file' -r -F
complete -c dd-apply -l registries-conf -d 'Configuration of registries and mirrors' -r -F
complete -c dd-apply -l registries.d -d 'Directory with configurations of signature storage' -r -F
complete -c dd-apply -l store -d 'Keep unpacked layers and proven encodings in DIR' -r -F
complete -c dd-apply -l format -d 'What stdout gets: records, or a table for people (auto: a table on a terminal)' -r -f -a "auto\t'A table on a terminal, records elsewhere'
ndjson\t'Newline-delimited JSON'
table\t'Text for people'"
complete -c dd-apply -l progress -d 'Show progress on stderr (auto: on a terminal)' -r -f -a "auto\t'A display when stderr is a terminal'
lines\t'A line now and then, for logs'
off\t'Nothing'"
complete -c dd-apply -l check -d 'Say whether the base and the output will do and what the work needs, and write nothing'
complete -c dd-apply -s f -l force -d 'Replace existing files that hold something else, and move names that mean another image'
complete -c dd-apply -l uncompressed -d 'Write a docker-archive with uncompressed layers and without an OCI index'
complete -c dd-apply -l exact-file -d 'Fail before work unless the output will be the target\'s own file, bit for bit'
complete -c dd-apply -l no-creds -d 'Use no credentials'
complete -c dd-apply -l insecure-policy -d 'Check no signature policy'
complete -c dd-apply -s q -l quiet -d 'Say nothing but errors on stderr'
complete -c dd-apply -s v -l verbose -d 'Say on stderr what is found and done'
complete -c dd-apply -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dd-apply -s V -l version -d 'Print version'
