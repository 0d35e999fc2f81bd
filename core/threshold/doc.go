// Package threshold applies rules to samples.
//
// A rule is the condition that must hold. Of all rules that match a sample's
// stage and key, the most specific one counts, separately for each severity and
// for upper limits, lower limits and deviations; ties go to the one given for the
// run, the host or the class over the profile's, then to the stricter. A rule
// with For or Count is broken only once it was broken that long, or that many
// samples in a row. A value that is not a number breaks nothing and proves
// nothing: a required metric without a number is an error, any other is
// unmeasurable.
//
// The same rules and samples give the same evaluations, in whatever order and
// batches the samples came, when they are handed to Evaluate together.
package threshold
