package nic

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// holders says which programs have the port open, as far as /proc lets us see:
// " by dnsmasq (pid 812)", or "".
func holders(network string, port uint16) string {
	inodes := socketsOn(network, port)
	if len(inodes) == 0 {
		return ""
	}

	links, _ := filepath.Glob("/proc/[0-9]*/fd/[0-9]*")

	var found []string

	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !slices.Contains(inodes, target) {
			continue
		}

		pid := strings.Split(link, "/")[2]
		name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm")) //nolint:gosec // pid is a name that /proc gave

		if who := fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid); !slices.Contains(found, who) {
			found = append(found, who)
		}
	}

	if len(found) == 0 {
		return " by a program that we may not see"
	}

	return " by " + strings.Join(found, ", ")
}

// socketsOn lists the sockets on a port as "socket:[inode]" from /proc/net/udp
// or tcp (proc(5): fields 2 local address, 10 inode).
func socketsOn(network string, port uint16) []string {
	// The thread's own table: network namespaces belong to threads.
	table, err := os.ReadFile("/proc/thread-self/net/" + network)
	if err != nil {
		return nil
	}

	var inodes []string

	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			inodes = append(inodes, "socket:["+f[9]+"]")
		}
	}

	return inodes
}
