// Prints what Go's and klauspost's encoders and pgzip give for each file of a directory: name, variant, level, length and
// SHA-256. encoder-vectors.go [-main] [-time] DIR; -main keeps to the levels that image tools use; -time prints seconds, the best of
// three, in the last place. Run by encoder-vectors, encoder-speed and tests.
package main

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	kp "github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// What image tools use.
var used = map[string]bool{"goa 1": true, "goa 6": true, "goa 9": true, "pgz1M-kp1.15.12 5": true, "pgz256K-kp1.15.12 5": true, "kz8+1.14.2 default": true}

func main() {
	few := flag.Bool("main", false, "only what image tools use")
	timed := flag.Bool("time", false, "seconds instead of digests")
	flag.Parse()
	directory := flag.Arg(0)
	entries, err := os.ReadDir(directory)
	check(err)
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		check(err)
		print := func(variant string, level any, open func(io.Writer) (io.WriteCloser, error)) {
			if *few && !used[fmt.Sprint(variant, " ", level)] {
				return
			}
			var out bytes.Buffer
			best := time.Hour
			for range [3]int{} {
				out.Reset()
				begin := time.Now()
				writer, err := open(&out)
				check(err)
				_, err = writer.Write(text)
				check(err)
				check(writer.Close())
				if took := time.Since(begin); took < best {
					best = took
				}
				if !*timed {
					break
				}
			}
			if *timed {
				fmt.Printf("%s %s %v %d %.4f\n", entry.Name(), variant, level, out.Len(), best.Seconds())
				return
			}
			fmt.Printf("%s %s %v %d %x\n", entry.Name(), variant, level, out.Len(), sha256.Sum256(out.Bytes()))
		}
		for _, level := range []int{-2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9} {
			print("goa", level, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, level) })
			if level < 9 {
				print("kp1.15.12", level, func(w io.Writer) (io.WriteCloser, error) { return kp.NewWriter(w, level) })
			}
		}
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault} {
			open := func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w, zstd.WithEncoderLevel(level)) }
			print("kz1.14.2", level, open)
			print("kz8+1.14.2", level, func(w io.Writer) (io.WriteCloser, error) {
				encoder, err := open(w)
				return &sniffed{Encoder: encoder.(*zstd.Encoder)}, err
			})
		}
		for _, level := range []int{1, 5, 6} {
			for name, block := range map[string]int{"pgz1M-kp1.15.12": 1 << 20, "pgz256K-kp1.15.12": 256 << 10} {
				print(name, level, func(w io.Writer) (io.WriteCloser, error) {
					writer, err := pgzip.NewWriterLevel(w, level)
					if err == nil {
						err = writer.SetConcurrency(block, 2)
					}
					return writer, err
				})
			}
		}
	}
}

// What containers/image does: it looks at the first bytes, writes them, and hands on the rest.
type sniffed struct{ *zstd.Encoder }

func (s *sniffed) Write(text []byte) (int, error) {
	first := len(text)
	if first > 8 {
		first = 8
	}
	if _, err := s.Encoder.Write(text[:first]); err != nil {
		return 0, err
	}
	_, err := s.Encoder.ReadFrom(bytes.NewReader(text[first:]))
	return len(text), err
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
