// Package pattern writes known contents into memory and finds every word that
// does not come back: the loops of the memory test, in assembly where that pays,
// and what they are run with. It talks to nobody but the memory it is given.
package pattern
