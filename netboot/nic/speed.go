package nic

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Megabits is the speed of the card's link in Mbit/s, as its driver tells
// (Documentation/ABI/testing/sysfs-class-net, speed); 0 when it does not, as of virtual
// cards and without a cable.
func Megabits(iface string) int { return megabits("/sys/class/net", iface) }

func megabits(folder, iface string) int {
	text, err := os.ReadFile(filepath.Join(folder, filepath.Base(iface), "speed"))
	if err != nil {
		return 0
	}

	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || n < 0 {
		return 0
	}

	return n
}
