// Package kit is what a person meets in front of a machine that was booted from the
// field kit: the stick it came from, a menu on every console, and what came of it in
// letters that can be read from across the room.
package kit
