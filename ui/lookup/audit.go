package lookup

import (
	"errors"
	"fmt"
	"strings"

	"vetting/core"
)

// AuditFilter chooses audit entries. An empty field chooses all.
type AuditFilter struct {
	Who    string
	Action string // begins so
	Host   core.MAC
	ID     string
	Result core.Outcome
}

func (f AuditFilter) chooses(a *core.Audit) bool {
	return (f.Who == "" || f.Who == a.Who) && strings.HasPrefix(a.Action, f.Action) && (f.Host == "" || f.Host == a.Host) &&
		(f.Result == "" || f.Result == a.Result || f.Result == core.OutcomeDone && a.Result == "")
}

// Audit lists what operators did, the newest first. A page may be short and still
// have a next one.
func Audit(r core.Reader, filter AuditFilter, page Page) (entries []core.Audit, next string, err error) {
	entries = []core.Audit{}
	last, looked := "", 0

	if filter.ID != "" {
		var one core.Audit

		err := r.Get(core.TableAudit, filter.ID, &one)
		if errors.Is(err, core.ErrNotFound) || err == nil && !filter.chooses(&one) {
			return entries, "", nil
		}

		return append(entries, one), "", err
	}

	err = r.Scan(core.TableAudit, core.Query{After: page.After, Limit: mostLooked + 1, Reverse: true},
		func(key string, decode func(any) error) error {
			if len(entries) == page.Limit || looked == mostLooked {
				next = token(last)

				return errEnough
			}

			var entry core.Audit

			if err := decode(&entry); err != nil {
				return err
			}

			if filter.chooses(&entry) {
				entries = append(entries, entry)
			}

			last, looked = key, looked+1

			return nil
		})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", fmt.Errorf("reading the audit trail: %w", err)
	}

	return entries, next, nil
}
