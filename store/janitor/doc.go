// Package janitor talks to the disk: it removes what core/retention lets go, the
// logs of runs and the files agents left, with their rows, and sums raw samples up.
//
// The order is made for a power cut at any moment. What was removed of a run is
// written down (core.Expiry) before a log goes, and in the same write in which the
// rows of its files go; a file goes only once no row names it. So there never is a
// row without its file, nor a run whose log is missing without a word. What a
// crash leaves is files that nothing names; a later sweep finds them by looking at
// the disk, not at what it meant to do.
//
// Raw samples give way to rollups, where that is wished for, in three steps, each of
// which may be cut short: rollups are written beside the samples; in one write they
// count from then on, and the samples no more; the samples are removed.
//
// A clock that is set wrong must not empty the shelves: while it does not run
// evenly, nothing is removed.
package janitor
