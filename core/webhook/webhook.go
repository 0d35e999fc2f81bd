// Package webhook signs what the appliance posts to other programs, as the
// Standard Webhooks specification (version 1.0.0, "Signature scheme") has it, so
// that receivers in many languages can check it with a library they have.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed message.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// secretMark begins a secret that is written in base64.
const secretMark = "whsec_"

// version is the symmetric scheme: HMAC with SHA-256.
const version = "v1,"

// Sign returns the value of HeaderSignature for a message with an identifier
// (unique for the message, the same when it is sent again; without full stops),
// the time it is sent at (HeaderTimestamp is its Unix time in seconds), and a
// body. A secret that begins with "whsec_" and goes on in base64 means the bytes
// so written; any other means its own bytes.
func Sign(secret, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key(secret))
	mac.Write([]byte(id + "." + Timestamp(at) + "."))
	mac.Write(body)

	return version + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Timestamp returns the value of HeaderTimestamp.
func Timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// Verify reports whether one of the signatures in the header's value (there may
// be several, with spaces between them) is that of the message. It takes the
// same time whatever is wrong. Whether the time is recent is for the caller.
func Verify(secret, id string, at time.Time, body []byte, header string) bool {
	want := Sign(secret, id, at, body)
	good := false

	for one := range strings.FieldsSeq(header) {
		good = hmac.Equal([]byte(one), []byte(want)) || good
	}

	return good
}

func key(secret string) []byte {
	if coded, ok := strings.CutPrefix(secret, secretMark); ok {
		if raw, err := base64.StdEncoding.DecodeString(coded); err == nil {
			return raw
		}
	}

	return []byte(secret)
}
