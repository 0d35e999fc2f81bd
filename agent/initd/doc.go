// Package initd is the first process of the boot image (PID 1). It does as little
// as it can: it mounts what a system needs, compares the image with its manifest,
// and keeps the agent proper running as a child, so that no fault of the agent's
// is ever a kernel panic. On machines in trouble it offers a rescue shell to
// whoever stands before them.
package initd
