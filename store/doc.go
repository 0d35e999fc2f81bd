// Package store talks to the disk: it keeps what the appliance must not forget.
// Its Store is core.Ledger on Badger; the logs of runs are in store/runlog, files
// of agents in store/artifact. README.md describes keys, records and what is
// left after each kind of accident.
package store
