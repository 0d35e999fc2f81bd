// Package foreign speaks to the appliance as an agent that somebody else wrote: it was made from the
// HTTP contract alone, with the standard library alone, and shares no type, name or constant with
// the agent and the gate of this repository. What it cannot do, a stranger with the contract in his
// hand cannot do either.
package foreign
