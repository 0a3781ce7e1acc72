complete -c dd-pack -s o -l output -d 'Write the package to FILE; `-` is stdout, which then gets no records' -r -F
complete -c dd-pack -l changes -d 'Write what each path cost to FILE, as records' -r -F
complete -c dd-pack -l sha256sums -d 'Write the package\'s SHA-256 and its name as given to FILE, as sha256sum does' -r -F
complete -c dd-pack -l records -d 'Write the records to FILE instead of stdout; with --output - there are none otherwise' -r -F
complete -c dd-pack -l store -d 'Keep unpacked layers and proven encodings in DIR' -r -F
complete -c dd-pack -l format -d 'What stdout gets: records, or a table for people (auto: a table on a terminal)' -r -f -a "auto\t'A table on a terminal, records elsewhere'
ndjson\t'Newline-delimited JSON'
table\t'Text for people'"
complete -c dd-pack -l progress -d 'Show progress on stderr (auto: on a terminal)' -r -f -a "auto\t'A display when stderr is a terminal'
lines\t'A line now and then, for logs'
off\t'Nothing'"
complete -c dd-pack -s n -l dry-run -d 'Say what the package would hold, and write nothing'
complete -c dd-pack -s f -l force -d 'Replace existing files that hold something else'
complete -c dd-pack -l plain -d 'Leave the zstd frame around the package away: a plain OCI archive'
complete -c dd-pack -l any-form -d 'Carry what makes every unchanged layer\'s compressed form, so that the base may hold it in any form'
complete -c dd-pack -l with-changes -d 'Put the costliest changes into the package, for dd-inspect to show'
complete -c dd-pack -s q -l quiet -d 'Say nothing but errors on stderr'
complete -c dd-pack -s v -l verbose -d 'Say on stderr what is found and done'
complete -c dd-pack -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dd-pack -s V -l version -d 'Print version'
