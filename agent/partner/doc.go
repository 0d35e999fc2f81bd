// Package partner is the other end of a network test, at the appliance and on a machine
// that another one measures: it sends and takes what a
// machine in a run asks for, as fast as both can, verifies every byte, and says what
// its own side could do meanwhile, so that a machine is judged by what was left for it.
// It serves whoever has a ticket, all at once, on the test network alone.
package partner
