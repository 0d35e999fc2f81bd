package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"vetting/core"
	"vetting/core/webhook"
)

// hook posts to a program of the operator, signed by Standard Webhooks.
type hook struct {
	target *Target
	client *http.Client
	now    func() time.Time
	id     func() string
}

// told is the body of a webhook. Its fields are kept: programs read them.
type told struct {
	Type      string    `json:"type"` // "vetting.StageFailed", "vetting.Test"
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Event    uint64         `json:"event,omitempty"` // its number in the ledger
		Severity core.Severity  `json:"severity"`
		Code     string         `json:"code,omitempty"`
		Host     core.MAC       `json:"host,omitempty"`
		HostName string         `json:"host_name,omitempty"`
		Run      core.RunID     `json:"run,omitempty"`
		Stage    core.StageName `json:"stage,omitempty"`

		Batch    string               `json:"batch,omitempty"`
		Verdicts map[core.Verdict]int `json:"verdicts,omitempty"` // of the batch: how many of its runs ended so

		Title string `json:"title"`
		Text  string `json:"text"`
		Why   string `json:"why,omitempty"`
		Next  string `json:"next,omitempty"`
		Link  string `json:"link,omitempty"`
	} `json:"data"`
}

func (h hook) send(ctx context.Context, m message) error {
	out := told{Type: "vetting." + string(m.topic), Timestamp: m.time.UTC()}
	if m.topic == "" {
		out.Type = "vetting.Test"
	}

	d := &out.Data
	d.Event, d.Severity, d.Code, d.Host, d.HostName, d.Run, d.Stage = m.seq, m.severity, m.code, m.host, m.hostName, m.run, m.stage
	d.Batch, d.Verdicts = m.batch, m.verdicts
	d.Title, d.Text, d.Why, d.Next, d.Link = m.title, m.text, m.why, m.next, m.link

	body, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}

	r, err := http.NewRequestWithContext(ctx, http.MethodPost, string(h.target.URL), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}

	at, id := h.now(), h.name(m)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(webhook.HeaderID, id)
	r.Header.Set(webhook.HeaderTimestamp, webhook.Timestamp(at))
	r.Header.Set(webhook.HeaderSignature, webhook.Sign(string(h.target.Sign), id, at, body))

	return post(h.client, r)
}

// name is the same for each attempt at one message, so that a receiver who saw it
// knows it again.
func (h hook) name(m message) string {
	if m.seq == 0 {
		return "msg_test_" + h.id()
	}

	return fmt.Sprintf("msg_%d_%d_%s", m.time.UnixMilli(), m.seq, h.target.Name)
}
