// Package custom runs custom stages: executables of an operator's in overlays, each
// behind a fence and with a limit, whose JSON lines become sub-steps, measurements and
// findings of the stage that they follow. A custom stage may make a result worse and
// never better, and it cannot hold a run up: when its time is over it is killed with
// all that it has started.
//
// The fence is made of the kernel's own means: a process namespace that ends with the
// script, a read-only view of the file system in which /dev has no disk and /run and
// /vetting have no token, and no privilege to change any of that, to load modules or to
// use raw sockets.
package custom
