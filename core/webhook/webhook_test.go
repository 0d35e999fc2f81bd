package webhook_test

import (
	"testing"
	"time"

	"vetting/core/webhook"
)

// The example that the specification's reference libraries are tested with.
func TestTheSpecificationsExampleIsSignedAlike(t *testing.T) {
	const (
		secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		id     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
		body   = `{"test": 2432232314}`
		want   = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	)

	at := time.Unix(1614265330, 0)

	if got := webhook.Sign(secret, id, at, []byte(body)); got != want {
		t.Errorf("got %s", got)
	}

	if webhook.Timestamp(at) != "1614265330" {
		t.Errorf("timestamp %s", webhook.Timestamp(at))
	}

	for name, c := range map[string]struct {
		secret, id, body, header string
		at                       time.Time
		good                     bool
	}{
		"as it was signed":                  {secret, id, body, want, at, true},
		"one good signature among others":   {secret, id, body, "v1,AAAA " + want + " v2,x", at, true},
		"another body":                      {secret, id, body + " ", want, at, false},
		"another id":                        {secret, "msg_x", body, want, at, false},
		"another second":                    {secret, id, body, want, at.Add(time.Second), false},
		"another secret":                    {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id, body, want, at, false},
		"no signature":                      {secret, id, body, "", at, false},
		"a signature without its version":   {secret, id, body, want[3:], at, false},
		"a secret that is no base64 at all": {"whsec_%%%", id, body, want, at, false},
	} {
		if got := webhook.Verify(c.secret, c.id, c.at, []byte(c.body), c.header); got != c.good {
			t.Errorf("%s: %v", name, got)
		}
	}
}
