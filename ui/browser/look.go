package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// axe looks for what keeps people out: axe-core 4.14.1, MPL-2.0, see the folder axe.
//
//go:embed axe/axe.min.js
var axe string

type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML string `json:"html"`
	} `json:"nodes"`
}

// Look has axe look at the page that is open, for what keeps people out. options are those of
// axe.run.
func Look(t *testing.T, tab context.Context, name, options string) { //nolint:revive // t first, as everywhere in tests
	t.Helper()

	if !Told[bool](t, tab, "!!window.axe") {
		Do(t, tab, chromedp.Evaluate(axe+";0", nil))
	}

	var found string

	Do(t, tab, chromedp.Evaluate("axe.run(document, "+options+").then(r => JSON.stringify(r.violations.map(v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map(n => ({html: n.html}))}))))",
		&found, chromedp.EvalAsValue, awaited))

	var all []violation

	if err := json.Unmarshal([]byte(found), &all); err != nil {
		t.Fatal(err)
	}

	for _, v := range all {
		if v.Impact == "serious" || v.Impact == "critical" {
			t.Errorf("%s: %s (%s): %+v", name, v.ID, v.Help, v.Nodes)
		}
	}
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
