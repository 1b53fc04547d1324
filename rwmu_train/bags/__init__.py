"""Rosbags to transitions: messages to time series to rows on the control grid."""
