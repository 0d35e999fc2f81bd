// Package ras listens to what the machine says about its own faults: the kernel's
// log and trace events, the counters of memory controllers, PCI links, disks and
// network ports, the BMC's event log, and what a crash left in pstore
// ("reliability, availability, serviceability"). It does so around every stage,
// whatever the stage tests, and judges what grew meanwhile.
//
// What was there before the agent began is boot residue: it is told once, in a
// section of its own, and fails nothing by itself.
package ras
