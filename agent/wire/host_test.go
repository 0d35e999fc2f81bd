package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"testing"
	"time"

	"vetting/agent/wire"
)

// testKey is the first key of RFC 8032 section 7.1.
func testKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()

	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		t.Fatal(err)
	}

	return ed25519.NewKeyFromSeed(seed)
}

// The text that is signed must never change for agents in the field: this
// signature was made once and is written down.
func TestASignedCallIsWrittenAsEver(t *testing.T) {
	s := wire.Sign(testKey(t), "POST", "/api/v1/hosts", moment.Time, []byte(`{"mac":"52:54:00:12:34:56"}`))
	want := wire.Signature{
		Key: "21fe31dfa154a261626bf854046fd227", Time: "2026-11-23T11:02:42.123Z",
		Value: signed,
	}

	if s != want {
		t.Errorf("signature %+v, want %+v", s, want)
	}
}

const signed = "Yp6XPwxq9sgz+pXQc05ZjLIgG830ZuANPLlo4qdUsLpiNcLqJfSvWUvSZ/QVbLVWAelnIBlKJlsKAtqLeE52Dw=="

func TestASignatureCoversTheWholeCall(t *testing.T) {
	key := testKey(t)
	public := key.Public().(ed25519.PublicKey)
	body := []byte(`{"boot_id":"a"}`)
	good := wire.Sign(key, "POST", wire.HostTarget("52:54:00:12:34:56"), moment.Time, body)

	other := bytes.Clone(public)
	other[3] ^= 1

	later := good
	later.Time = wire.Sign(key, "POST", "/", moment.Add(time.Second), nil).Time

	noTime, noValue := good, good
	noTime.Time, noValue.Value = "yesterday", "§"

	tests := map[string]struct {
		s            wire.Signature
		key          ed25519.PublicKey
		method, path string
		body         string
		ok           bool
	}{
		"as it was signed":         {good, public, "POST", "/api/v1/hosts/52:54:00:12:34:56/heartbeat", string(body), true},
		"another method":           {good, public, "PUT", "/api/v1/hosts/52:54:00:12:34:56/heartbeat", string(body), false},
		"another host's path":      {good, public, "POST", "/api/v1/hosts/52:54:00:12:34:57/heartbeat", string(body), false},
		"another body":             {good, public, "POST", "/api/v1/hosts/52:54:00:12:34:56/heartbeat", `{"boot_id":"b"}`, false},
		"another key":              {good, other, "POST", "/api/v1/hosts/52:54:00:12:34:56/heartbeat", string(body), false},
		"a key that is none":       {good, public[:31], "POST", "/api/v1/hosts/52:54:00:12:34:56/heartbeat", string(body), false},
		"another time":             {later, public, "POST", "/api/v1/hosts/52:54:00:12:34:56/heartbeat", string(body), false},
		"a time that is none":      {noTime, public, "POST", "/api/v1/hosts/52:54:00:12:34:56/heartbeat", string(body), false},
		"a signature that is none": {noValue, public, "POST", "/api/v1/hosts/52:54:00:12:34:56/heartbeat", string(body), false},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			at, err := tt.s.Verify(tt.key, tt.method, tt.path, []byte(tt.body))
			if (err == nil) != tt.ok || tt.ok && !at.Equal(moment.Time) {
				t.Errorf("signed at %s, %v", at, err)
			}
		})
	}
}
