// Package engine decides what happens to hosts and runs, and is the only writer
// of both. It talks to nobody: the rooms call it with facts (a machine asked for
// its boot script, the agent sent a result, an operator pressed a button), it
// asks core/lifecycle what follows, writes state and events in one transaction,
// rings the bell, and only then lets effects out (a magic packet, the next run).
//
// Everything a decision needs is in the ledger, deadlines included, so that an
// appliance that was killed at any moment goes on where it was. Every check and
// the act that rests on it are in one transaction.
//
// All methods are safe for concurrent use. Only Run starts goroutines.
package engine
