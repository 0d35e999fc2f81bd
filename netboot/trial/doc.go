// Package trial is a network and a machine to try the boot services on: a switch in a
// network namespace of its own, a cable from there to the namespace of the calling
// process, and a virtual machine that boots from the network as real ones do. It never
// touches a card that was there before. Linux only.
package trial
