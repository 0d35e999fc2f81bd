package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"vetting/core"
)

// discord executes a webhook (discord.com/developers/docs/resources/webhook).
type discord struct {
	target *Target
	client *http.Client
}

// Colours of the bar beside the message; those of the console.
const (
	vermilion = 0xb03c00
	amber     = 0x8a5600
	green     = 0x00694d
)

func (d discord) send(ctx context.Context, m message) error {
	type embed struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		URL         string `json:"url,omitempty"`
		Color       int    `json:"color"`
		Timestamp   string `json:"timestamp"`
	}

	out := struct {
		Username string  `json:"username"`
		Embeds   []embed `json:"embeds"`
		// Nobody is mentioned, whatever the text says.
		Mentions struct {
			Parse []string `json:"parse"`
		} `json:"allowed_mentions"`
	}{
		Username: "vetting",
		Embeds: []embed{{
			Title: plain(m.title), Description: plain(m.body()), URL: m.link, Color: colour(m.severity),
			Timestamp: m.time.UTC().Format(time.RFC3339),
		}},
	}
	out.Mentions.Parse = []string{}

	body, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}

	r, err := http.NewRequestWithContext(ctx, http.MethodPost, string(d.target.URL), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}

	r.Header.Set("Content-Type", "application/json")

	return post(d.client, r)
}

// plain keeps text from being read as Markdown: it may come from a machine
// under test.
func plain(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "~", `\~`, "`", "\\`", "|", `\|`, ">", `\>`, "[", `\[`, "]", `\]`, "<", `\<`).Replace(text)
}

func colour(s core.Severity) int {
	switch s {
	case core.Critical:
		return vermilion
	case core.Warning:
		return amber
	default:
		return green
	}
}
