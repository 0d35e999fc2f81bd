// Package runlog talks to the disk: it keeps what the agents said while they
// ran, a file of JSON lines for each run.
//
// A file is a sequence of batches. A batch is its lines, each a JSON object with
// the line's number, and then one more object that ends it:
//
//	{"seq":1,"time":"2026-11-23T11:02:42Z","level":"info","stage":"SMART","text":"sda: self-test started"}
//	{"batch":{"epoch":1,"seq":7,"last":1,"crc32c":"5a1e09f3"}}
//
// A batch is written whole, synced, and only then acknowledged: an acknowledged
// line survives a power cut. What follows the last whole batch when a file is
// opened was never acknowledged and is cut off; the agent sends it again. The
// end of a batch remembers what it was called (epoch and seq) and answered
// (last), so that a batch that is sent twice changes nothing, even after a
// restart.
package runlog
