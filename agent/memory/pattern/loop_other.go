//go:build !amd64 && !arm64

package pattern

// flusher returns what does nothing: this program knows no such instruction here.
func flusher() func(mem []uint64) { return func([]uint64) {} }

// fastest returns the implementations that this processor can run, the best first.
func fastest() []loops { return []loops{reference()} }
