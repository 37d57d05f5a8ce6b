// A board's JSON against Grafana's own types: JSON has the values of enums, not their members.
import type { AnnotationQuery, Dashboard, Panel, VariableModel } from "@grafana/schema";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as logs from "@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as statetimeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

type Value<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer N extends number}`
      ? N
      : T
    : T;

export type Json<T> = T extends string | number
  ? Value<T>
  : T extends (infer U)[]
    ? Json<U>[]
    : T extends object
      ? { [K in keyof T]: Json<T[K]> }
      : T;

// What the types leave out. The keys of an annotation's query are the Prometheus plugin's own.
interface PrometheusAnnotation {
  expr: string;
  step: string;
  tagKeys: string;
  textFormat: string;
  titleFormat: string;
  useValueForTime: boolean;
}

// Grafana writes the text of a variable's query beside the query.
interface Definition {
  definition?: string;
}

export type Board = Json<Omit<Dashboard, "annotations" | "panels" | "templating">> & {
  annotations: { list: (Json<AnnotationQuery> & PrometheusAnnotation)[] };
  templating: { list: (Json<VariableModel> & Definition)[] };
};
export type OnePanel = Json<Panel>;

export interface Options {
  bargauge: Json<bargauge.Options>;
  heatmap: Json<heatmap.Options>;
  logs: Json<logs.Options>;
  stat: Json<stat.Options>;
  "state-timeline": Json<statetimeline.Options>;
  table: Json<table.Options>;
  timeseries: Json<timeseries.Options>;
}

type None = Record<string, never>;

export interface Custom {
  bargauge: None;
  heatmap: Json<heatmap.FieldConfig>;
  logs: None;
  stat: None;
  "state-timeline": Json<statetimeline.FieldConfig>;
  table: Json<Partial<table.FieldConfig>>;
  timeseries: Json<timeseries.FieldConfig>;
}
