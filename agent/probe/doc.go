// Package probe looks at the machine the agent runs on, and changes nothing: its
// parts, their serial numbers, and which firmware they run.
//
// A machine is an fs.FS over the root of its file system, a disk.Bus and a Ports:
// recorded machines (agent/machines) replay through the same code. Adding one
// adds none.
package probe
