package memory

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// meminfo reads rows like "MemFree: 1024 kB", of the machine (/proc/meminfo) or of
// a node ("Node 0 MemFree: 1024 kB"), in bytes.
func meminfo(root fs.FS, name string) (map[string]uint64, error) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", name, err)
	}

	rows := map[string]uint64{}

	for row := range strings.Lines(string(text)) {
		label, value, ok := strings.Cut(row, ":")
		words := strings.Fields(label)
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")

		n, err := strconv.ParseUint(number, 10, 53)
		if !ok || err != nil || len(words) == 0 {
			continue
		}

		if unit == "kB" {
			n <<= 10
		}

		rows[words[len(words)-1]] = n
	}

	return rows, nil
}

// Total is the memory that the kernel manages, in bytes.
func Total(root fs.FS) (uint64, error) {
	rows, err := meminfo(root, "proc/meminfo")

	return rows["MemTotal"], err
}

// Reserve is what stays free of the total for everything else: 2 %, 192 MiB at
// least.
func Reserve(total uint64) uint64 {
	const (
		least = 192 << 20
		share = 50
	)

	return max(least, total/share)
}
