//go:build !linux

// Command vetting-lab needs Linux: it is made of network namespaces.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "vetting-lab: the lab is made of network namespaces and runs on Linux only")
	os.Exit(1)
}
