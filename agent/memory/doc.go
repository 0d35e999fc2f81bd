// Package memory tests the memory of the machine it runs on: a worker for each
// NUMA node takes all that the reserve leaves, writes known contents and compares
// every word that comes back. What is wrong is told with its virtual and physical
// address, the bits that flipped, how often it repeats, and the DIMM as far as the
// firmware tells; what was tested is told by physical page.
//
// Run runs the workers of a Test and returns a Report; what passes is for the stage to say.
package memory
