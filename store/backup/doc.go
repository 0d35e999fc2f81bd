// Package backup talks to the disk, or to whoever takes what it writes: it makes one
// stream of all that the appliance must not forget, and a data directory of it again.
//
// A backup is a tar, compressed with gzip:
//
//	backup.json        Manifest: what it is of; first
//	ledger/00000001 …  a copy of the ledger (package store), in parts of 1 MiB
//	files/NAME …       logs, artifacts, overlays and, where wanted, keys
//	end.json           how far the ledger reaches, and the SHA-256 over names, sizes and
//	                   contents of all before it; last
//
// The ledger is a snapshot; files are read after it, so that whatever the snapshot
// names is there. A stream without its end is no backup.
package backup
