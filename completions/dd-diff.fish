complete -c dd-diff -s l -l level -d 'The effort, from 1 (fast) to 9 (small)' -r
complete -c dd-diff -s j -l jobs -d 'Use N threads [default: the number of processors]; the deltas do not depend on it' -r
complete -c dd-diff -s m -l method -d 'How layers that changed travel' -r -f -a "auto\t'Files that changed as differences, whatever is smallest'
copy\t'Files that a base has as copies, all others whole: quick'
whole\t'Whole layers, compressed'"
complete -c dd-diff -l memory -d 'Take about SIZE bytes of memory at most; K, M and G are understood' -r
complete -c dd-diff -l only -d 'Encode only the layer with this diff_id (more than once: these layers)' -r
complete -c dd-diff -l pair -d 'Which bases a target may be made from' -r -f -a "auto\t'Those of the same platform, and of these those of the same repository, if there are any'
any\t'All bases: the package then asks for all that its deltas read'"
complete -c dd-diff -l without -d 'Leave out these techniques, to measure what each saves' -r -f -a "headers\t'Tar headers as columns against those of the base; else as bytes'
likeness\t'Files with new names paired by the lines that they have in common with others'
archives\t'Archives and compressed files opened'
executables\t'Executables compared by what their addresses mean'
digests\t'Digests in texts computed from the files that they name'
times\t'Times in compiled Python code taken from tar headers'
dictionaries\t'Former contents as dictionaries of literals'
mixing\t'Coding by context mixing'
lzma\t'LZMA for literals; else zstd'"
complete -c dd-diff -s o -l output -d 'Write the records to FILE, which appears when they are complete, instead of stdout' -r -F
complete -c dd-diff -l store -d 'Keep unpacked layers and proven encodings in DIR' -r -F
complete -c dd-diff -l format -d 'What stdout gets: records, or a table for people (auto: a table on a terminal)' -r -f -a "auto\t'A table on a terminal, records elsewhere'
ndjson\t'Newline-delimited JSON'
table\t'Text for people'"
complete -c dd-diff -l progress -d 'Show progress on stderr (auto: on a terminal)' -r -f -a "auto\t'A display when stderr is a terminal'
lines\t'A line now and then, for logs'
off\t'Nothing'"
complete -c dd-diff -l fast -d 'The same as --level 1'
complete -c dd-diff -l best -d 'The same as --level 9: code then takes ten times as long to apply'
complete -c dd-diff -s f -l force -d 'Replace FILE even if it holds something else than records'
complete -c dd-diff -s q -l quiet -d 'Say nothing but errors on stderr'
complete -c dd-diff -s v -l verbose -d 'Say on stderr what is found and done'
complete -c dd-diff -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dd-diff -s V -l version -d 'Print version'
