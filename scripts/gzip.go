// Compresses its standard input as Go programs do: gzip.go LEVEL. The standard library alone, so that any Go builds it.
package main

import (
	"compress/gzip"
	"io"
	"os"
	"strconv"
)

func main() {
	level, err := strconv.Atoi(os.Args[1])
	check(err)
	writer, err := gzip.NewWriterLevel(os.Stdout, level)
	check(err)
	_, err = io.Copy(writer, os.Stdin)
	check(err)
	check(writer.Close())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
