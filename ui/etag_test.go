package ui_test

import (
	"net/http"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/canned"
)

// A program that writes what it has made of what it read says so: what somebody else has written
// meanwhile stays, and the program is told.
func TestAWriteOnWhatWasReadUndoesNothingUnseen(t *testing.T) {
	t.Parallel()

	const class = "/api/v1/classes/r740-nvme"

	for name, c := range map[string]struct{ read, method, write, theirs, ours string }{
		"a spec":        {"/api/v1" + hostPath, "PUT", "/api/v1" + hostPath + "/spec", "cpus: {count: 2}", "memory: {total: 1}"},
		"a host":        {"/api/v1" + hostPath, "PATCH", "/api/v1" + hostPath, `{"notes":"theirs"}`, `{"notes":"mine"}`},
		"a model class": {class, "PUT", class, `{"notes":"theirs"}`, `{"notes":"mine"}`},
		"the baseline":  {"/api/v1/firmware/baseline", "PUT", "/api/v1/firmware/baseline", "rules: [{id: theirs}]", "rules: [{id: mine}]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := open(t, canned.Full, random)
			b.saving(t)

			auth := "Bearer " + b.token("operate")
			write := func(text, tag string) answer {
				return b.ask(c.method, c.write, text, "Authorization", auth, "If-Match", tag)
			}

			read := b.ask("GET", c.read, "", "Authorization", auth)
			tag := read.header.Get("ETag")

			if read.status != http.StatusOK || !strings.HasPrefix(tag, `"`) {
				t.Fatalf("%d, and the ETag is %q: %s", read.status, tag, read.body)
			}

			if got := write(c.theirs, tag); got.status != http.StatusOK || got.header.Get("ETag") == tag {
				t.Fatalf("who writes first: %d %s", got.status, got.body)
			}

			if got := write(c.ours, tag); got.status != http.StatusPreconditionFailed || !strings.Contains(got.body, problem.RecordChanged) {
				t.Errorf("who writes on what is no more: %d %s", got.status, got.body)
			}

			now := b.ask("GET", c.read, "", "Authorization", auth)
			if strings.Contains(now.body, "mine") || strings.Contains(now.body, "total: 1") {
				t.Errorf("it was written all the same: %s", now.body)
			}

			for _, fits := range []string{`"other", ` + now.header.Get("ETag"), "*"} {
				if got := write(c.ours, fits); got.status != http.StatusOK {
					t.Errorf("If-Match: %s: %d %s", fits, got.status, got.body)
				}
			}
		})
	}
}

// A run that ends, or a sign of life, is not what people set of a host.
func TestAnETagIsOfWhatPeopleSet(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	auth := "Bearer " + b.token("operate")
	tag := func(path string) string { return b.ask("GET", path, "", "Authorization", auth).header.Get("ETag") }
	before := tag("/api/v1" + hostPath)

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		var host core.Host

		if err := txn.Get(core.TableHost, string(canned.Host), &host); err != nil {
			return err
		}

		host.LastRun, host.UpdatedAt, host.LastVerdict = canned.Run, host.UpdatedAt.Add(1), core.Fail

		return txn.Put(core.TableHost, string(host.MAC), host)
	}); err != nil {
		t.Fatal(err)
	}

	if is := tag("/api/v1" + hostPath); is != before {
		t.Errorf("the ETag was %s, and is %s", before, is)
	}

	// Who looks without seeing all of a webhook's address reads the same state.
	if is := b.ask("GET", "/api/v1"+hostPath, "", "Authorization", "Bearer "+b.token("read")).header.Get("ETag"); is != before {
		t.Errorf("of a viewer it is %s", is)
	}
}

// A class is made anew only, where whoever makes it says so.
func TestAClassIsMadeOnlyWhereThereIsNone(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	b.saving(t)

	auth := "Bearer " + b.token("operate")

	for path, want := range map[string]int{"/api/v1/classes/r740-nvme": http.StatusPreconditionFailed, "/api/v1/classes/brand-new": http.StatusOK} {
		if got := b.ask("PUT", path, `{"notes":"x"}`, "Authorization", auth, "If-None-Match", "*"); got.status != want {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}

	if got := b.ask("PUT", "/api/v1/classes/none", `{"notes":"x"}`, "Authorization", auth, route.IfMatch, "*"); got.status != http.StatusPreconditionFailed {
		t.Errorf("If-Match: * of what is not there: %d", got.status)
	}

	if got := b.ask("GET", "/api/v1/classes/none", "", "Authorization", auth); got.status != http.StatusNotFound {
		t.Errorf("what is not there: %d", got.status)
	}
}
