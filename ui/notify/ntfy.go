package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"vetting/core"
)

// ntfy publishes as JSON (docs.ntfy.sh/publish, "Publish as JSON").
type ntfy struct {
	target *Target
	client *http.Client
}

// The priorities: 5 overrides "do not disturb" on phones.
const (
	urgent  = 5
	high    = 4
	ordinal = 3
)

func (n ntfy) send(ctx context.Context, m message) error {
	type action struct {
		Action string `json:"action"`
		Label  string `json:"label"`
		URL    string `json:"url"`
	}

	out := struct {
		Topic    string   `json:"topic"`
		Title    string   `json:"title"`
		Message  string   `json:"message"`
		Priority int      `json:"priority"`
		Tags     []string `json:"tags,omitempty"`
		Click    string   `json:"click,omitempty"`
		Actions  []action `json:"actions,omitempty"`
	}{
		Topic: n.target.Topic, Title: m.title, Message: m.body(), Priority: ordinal, Tags: []string{"white_check_mark"}, Click: m.link,
	}

	switch m.severity {
	case core.Critical:
		out.Priority, out.Tags = urgent, []string{"rotating_light"}
	case core.Warning:
		out.Priority, out.Tags = high, []string{"warning"}
	default: // as above
	}

	if m.link != "" {
		out.Actions = []action{{Action: "view", Label: "Open", URL: m.link}}
	}

	body, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}

	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(string(n.target.URL), "/")+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}

	r.Header.Set("Content-Type", "application/json")

	if n.target.Token != "" {
		r.Header.Set("Authorization", "Bearer "+string(n.target.Token))
	}

	return post(n.client, r)
}
