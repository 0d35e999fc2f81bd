package wire

// The limits both ends keep. Bodies are in bytes as sent; a longer one gets 413.
const (
	MaxSmallBody    = 64 << 10 // hello, claim, heartbeat
	MaxLogBody      = 1 << 20
	MaxSensorBody   = 1 << 20
	MaxResultBody   = 4 << 20
	MaxArtifactBody = 64 << 20

	MaxSamples      = 1000      // in one sensor batch
	MaxKey          = 96        // bytes of a sample's key
	MaxLine         = 8 << 10   // bytes of one line of the log
	MaxLines        = 8192      // in one log batch
	MaxFindings     = 512       // in one result
	MaxSubSteps     = 1024      // in one result
	MaxMeasurements = 4096      // in one result
	MaxOverlays     = 8         // of one run
	MaxMeters       = 48        // in one heartbeat
	MaxWalks        = 12        // of one meter
	MaxScripts      = 32        // of one overlay
	MaxParts        = 2048      // of one kind in an inventory
	MaxText         = 8 << 10   // bytes of evidence, next step, summary, coverage
	MaxName         = 256       // bytes of a name, title, code, version, unit
	MaxToken        = 256       // bytes of a bearer token
	MaxHostKey      = 1024      // bytes of a line of authorized_keys or a host key
	MaxElements     = 128 << 10 // commas, braces and brackets of a body: what decoding may cost
)
