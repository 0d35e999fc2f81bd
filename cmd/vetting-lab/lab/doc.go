// Package lab stands up a rack that is not there: an isolated network segment
// (namespaces, a bridge, taps), virtual machines with an identity, disks and a
// power button, and an appliance plugged into the segment. The demo, the
// end-to-end tests and the benchmarks run in it.
//
// Everything lives in network namespaces named vt<pid>-<role>; the machine's own
// network is not touched. What a lab leaves behind when it is killed, the next
// one sweeps away. Linux and root only.
package lab
