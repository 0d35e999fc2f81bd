// Package wire is the contract between the agent and the appliance: every
// message of their conversation as JSON, the table of calls, and the limits both
// ends keep. It imports nothing of ours, so that core may change without the
// protocol changing.
//
// Conventions: snake_case, UTF-8, times RFC 3339 with milliseconds in UTC,
// durations in seconds, sizes in bytes. Unknown fields are ignored, unknown
// values of an enumeration are refused ([UnknownValueError]). A value that
// cannot be measured is null, never a made-up number. Every message has a
// Validate method that a receiver calls before it believes a word; golden files
// under testdata/v1 pin each message and are kept for good.
package wire
