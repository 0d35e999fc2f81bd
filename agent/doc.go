// Package agent talks to the appliance from the machine under test: it says
// hello, claims the run, beats, runs the stages it is given and brings home what
// they say, over a connection that it trusts by the appliance's key alone.
//
// It is written for an appliance that goes away and comes back: log lines,
// samples and results wait in memory and are sent again in order, each under the
// number it was first sent with, so that nothing is lost and nothing counts
// twice. It is written for a program that dies as well: what must not be
// forgotten stands in a session file, by which the next process of the same boot
// goes on.
package agent
