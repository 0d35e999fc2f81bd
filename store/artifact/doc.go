// Package artifact talks to the disk: it keeps the files that agents leave, each
// under the SHA-256 of its content. Names never reach the disk.
package artifact
