// Package lifecycle is the life of a run as one table: which event moves which
// state to which, and what is owed then. Each pair of state and event is written
// once; a pair that is not in the table is refused.
//
// The whole table, every state against every event, is printed into
// testdata/table.golden by a test and is the documentation. Nothing here reads a
// clock or writes anything: the engine carries the actions out.
package lifecycle
