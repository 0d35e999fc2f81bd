package main

import (
	"vetting/agent/cpu/drill"
	"vetting/agent/diskread"
	"vetting/agent/memory"
	"vetting/agent/storage"
	"vetting/agent/worker"
)

// kinds are the workers that this program can be. Each runs in a process of its
// own, see agent/worker.
func kinds() map[string]worker.Func {
	return map[string]worker.Func{
		drill.Kind:         drill.Work,
		drill.BetweenKind:  drill.WorkBetween,
		memory.Kind:        memory.Work,
		diskread.Kind:      diskread.Work,
		storage.WorkerKind: storage.Work(disks(), storage.Wiped),
	}
}
