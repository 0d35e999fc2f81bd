package core

import "time"

// ReportKey is a key that the appliance signs reports with, or did: what was signed
// with an earlier one can be checked with it for ever. The private half is no part of
// the ledger.
type ReportKey struct {
	ID          string    `json:"id"`             // KeyID of Public
	Public      []byte    `json:"public"`         // Ed25519, 32 bytes
	Fingerprint string    `json:"fingerprint"`    // KeyFingerprint of Public: what people compare
	Since       time.Time `json:"since"`          // when it began to sign
	Until       time.Time `json:"until,omitzero"` // when another took its place; zero: it signs now
	By          string    `json:"by,omitempty"`   // who had it drawn; empty: the first start
}
