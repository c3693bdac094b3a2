// Reads a file with rules as Prometheus does, and says what is wrong with it.
//
//	promrules RULES [SECONDS:METRICS ...]
//
// With files of metrics, each as it was scraped at that moment, it also says which alerts hold at the last one: a JSON
// list of label sets. `for` is not waited for.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                    { return s.at }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }

type kept struct {
	labels  labels.Labels
	samples []chunks.Sample
}

type scraped struct{ series []*kept }

func (s *scraped) read(data []byte, at int64) error {
	parser := textparse.NewOpenMetricsParser(data, labels.NewSymbolTable())
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, _, value := parser.Series()
		var found labels.Labels
		parser.Labels(&found)
		mine := s.find(found)
		mine.samples = append(mine.samples, sample{at, value})
	}
}

func (s *scraped) find(wanted labels.Labels) *kept {
	for _, one := range s.series {
		if labels.Equal(one.labels, wanted) {
			return one
		}
	}
	s.series = append(s.series, &kept{labels: wanted})
	return s.series[len(s.series)-1]
}

func (s *scraped) Querier(_, _ int64) (storage.Querier, error) { return &querier{s}, nil }

type querier struct{ from *scraped }

func (q *querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, one := range q.from.series {
		fits := true
		for _, matcher := range matchers {
			fits = fits && matcher.Matches(one.labels.Get(matcher.Name))
		}
		if fits {
			found = append(found, storage.NewListSeries(one.labels, one.samples))
		}
	}
	return &set{found, -1}
}

func (*querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (*querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}
func (*querier) Close() error { return nil }

type set struct {
	series []storage.Series
	at     int
}

func (s *set) Next() bool                      { s.at++; return s.at < len(s.series) }
func (s *set) At() storage.Series              { return s.series[s.at] }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

func main() {
	groups, errs := rulefmt.ParseFile(os.Args[1], false)
	fail(errs...)
	if len(os.Args) < 3 {
		return
	}
	store := &scraped{}
	var last int64
	for _, argument := range os.Args[2:] {
		seconds, file, _ := strings.Cut(argument, ":")
		at, err := strconv.ParseInt(seconds, 10, 64)
		check(err)
		data, err := os.ReadFile(file)
		check(err)
		check(store.read(data, at*1000))
		last = at
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute})
	firing := []map[string]string{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			query, err := engine.NewInstantQuery(context.Background(), store, nil, rule.Expr, time.Unix(last, 0))
			check(err)
			result := query.Exec(context.Background())
			check(result.Err)
			found, err := result.Vector()
			check(err)
			for _, one := range found {
				told := one.Metric.Map()
				for name, value := range rule.Labels {
					told[name] = value
				}
				told["alertname"] = rule.Alert
				firing = append(firing, told)
			}
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(firing))
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(errs ...error) {
	for _, err := range errs {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(errs) > 0 {
		os.Exit(1)
	}
}
