// Package burn puts everything in a machine to work at once: CPUs, memory, disks
// and the network, in phases. From rest it raises the load, holds it, lets all CPUs
// start and stop in step so that voltage regulators and power supplies feel it, hops
// from core to core, and lets the machine cool down. All that is computed, written,
// read and sent is verified meanwhile.
//
// It returns what was seen; what passes is for the stage to say.
package burn
