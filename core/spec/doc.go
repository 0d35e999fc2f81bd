// Package spec says what a host should be made of, and compares that with what
// was found.
//
// A spec is written by people in YAML (read by cmd, which knows the library; the
// tags here name the keys). docs/spec.md is its reference. Whatever it leaves out is
// not compared. A field that the platform does not tell is neither right nor wrong:
// it is reported as such.
package spec
