package report

import (
	"testing"
	"time"

	"vetting/core"
)

// A photo that was removed for its age is not kept by the appliance any more.
func TestARemovedPhotoIsNotOnTheReport(t *testing.T) {
	t.Parallel()

	got := sums([]core.Photo{{SHA256: "gone", GoneAt: time.Unix(1, 0)}, {SHA256: "there"}})
	if len(got) != 1 || got[0] != "there" {
		t.Errorf("%q", got)
	}
}
