package seal

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"time"
)

// permit is what is signed to let somebody read the report of a run until a time. It
// begins as nothing else does that the key signs.
func permit(run string, until time.Time) []byte {
	return fmt.Appendf(nil, "vetting.report-link/1\n%s\n%d\n", run, until.Unix())
}

// Permit signs that whoever shows it may read the report of run until a time; "": the key
// is the zero value. Another key ends it.
func (k Key) Permit(run string, until time.Time) string {
	if len(k.private) == 0 {
		return ""
	}

	return base64.RawURLEncoding.EncodeToString(ed25519.Sign(k.private, permit(run, until)))
}

// Permits reports whether what somebody shows was made by Permit for run and until.
func (k Key) Permits(run string, until time.Time, shown string) bool {
	signature, err := base64.RawURLEncoding.Strict().DecodeString(shown)

	return err == nil && len(k.private) > 0 && ed25519.Verify(k.Public(), permit(run, until), signature)
}
