"""Light curves become objects; what is left out is counted and named."""

import json

import numpy as np
import pytest

from astromer.errors import ConfigError
from astromer.evaluation.classes import read_classes
from astromer.evaluation.objects import collect_objects
from astromer.lightcurve import LightCurve
from astromer.surveys import read_light_curves


def rename(curve, object_id, **changes):
    values = {
        "time": curve.time,
        "mag": curve.mag,
        "mag_err": curve.mag_err,
        "passband": curve.passband,
        "class_name": curve.class_name,
        **changes,
    }
    return LightCurve(object_id=object_id, **values)


def test_passbands_of_an_object_stay_together(make_star):
    curves = [
        make_star("slow", 0, passband="R"),
        make_star("fast", 0),
        make_star("slow", 0, passband="B", length=30),
    ]
    objects = collect_objects(curves)
    assert list(objects.objects) == ["fast-000", "slow-000"]
    bands = [c.passband for c in objects.objects["slow-000"].light_curves]
    assert bands == ["R", "B"]
    assert objects.labels == {"fast-000": "fast", "slow-000": "slow"}
    assert objects.left_out == {}


def test_order_of_the_input_does_not_matter(make_survey):
    curves = make_survey()
    one, other = collect_objects(curves), collect_objects(curves[::-1])
    assert list(one.objects) == list(other.objects)
    assert one.classes == other.classes == ("fast", "flat", "slow")


def test_everything_left_out_is_counted(make_star):
    curves = [
        make_star("slow", 0),
        make_star("fast", 0),
        make_star("fast", 0),
        make_star("fast", 1, length=4),
        make_star("flat", 0),
        rename(make_star("slow", 2), "nameless", class_name=None),
        rename(make_star("slow", 3), "both", passband="B"),
        rename(make_star("fast", 3), "both", passband="R"),
    ]
    objects = collect_objects(curves, classes=read_classes("slow,fast"))
    assert list(objects.objects) == ["fast-000", "slow-000"]
    assert len(objects.objects["fast-000"].light_curves) == 1
    assert objects.left_out == {
        "short light curves": 1,
        "light curves of other classes": 1,
        "unlabeled light curves": 1,
        "objects with two classes": 1,
        "repeated light curves": 1,
    }


def test_min_observations_is_the_fewest_that_stay(make_star):
    curves = [make_star("slow", 0, length=30), make_star("slow", 1, length=29)]
    curves += [make_star("fast", 0, length=40)]
    objects = collect_objects(curves, min_observations=30)
    assert list(objects.objects) == ["fast-000", "slow-000"]


def test_an_object_listed_twice_is_one_object(make_star):
    star, other = make_star("slow", 0), make_star("fast", 0)
    part = LightCurve(
        star.time[:25],
        star.mag[:25],
        star.mag_err[:25],
        object_id="a-part",
        class_name="slow",
    )
    copy, third = rename(star, "zz-copy"), rename(star, "yy-copy")
    objects = collect_objects([copy, star, other, part, third])
    # The first in alphabetical order stays, however much shorter.
    assert list(objects.objects) == ["a-part", "fast-000"]
    assert objects.twins == dict.fromkeys(["slow-000", "yy-copy", "zz-copy"], "a-part")
    assert objects.left_out == {"objects listed twice": 3}
    assert objects.find("zz-copy") is objects.objects["a-part"]
    assert [item.object_id for item in objects.take(["zz-copy", "fast-000"])] == [
        "a-part",
        "fast-000",
    ]


def test_objects_that_share_few_observations_are_two(make_star):
    star = make_star("slow", 0, length=40)
    mag = np.where(np.arange(40) < 19, star.mag, star.mag + 0.1)
    other = rename(star, "other", mag=mag)
    objects = collect_objects([star, other, make_star("fast", 0)])
    assert "other" in objects.objects
    assert not objects.twins


def test_a_twin_of_another_class_leaves_both_out(make_star):
    star = make_star("slow", 0)
    curves = [star, rename(star, "copy", class_name="fast")]
    curves += [make_star("slow", 1), make_star("fast", 1)]
    objects = collect_objects(curves)
    assert list(objects.objects) == ["fast-001", "slow-001"]
    assert objects.left_out == {"objects with two classes": 2}


def test_grouped_classes_may_hold_twins(make_star):
    star = make_star("slow", 0)
    curves = [star, rename(star, "copy", class_name="flat"), make_star("fast", 0)]
    objects = collect_objects(curves, classes=read_classes("calm=slow+flat,fast"))
    assert objects.classes == ("calm", "fast")
    assert objects.labels == {"copy": "calm", "fast-000": "fast"}


def test_numbered_labels_serve_as_classes(make_star):
    curves = [
        rename(make_star("slow", i), f"star-{i}", class_name=None, label=i % 2)
        for i in range(4)
    ]
    assert collect_objects(curves).classes == ("0", "1")


def test_bad_input_is_refused_with_counts(make_star):
    unlabeled = [rename(make_star("slow", 0), "a", class_name=None)]
    with pytest.raises(ConfigError, match=r"Received: none of 1 light curves has"):
        collect_objects(unlabeled)
    with pytest.raises(ConfigError, match=r"Received: only \('slow',\)"):
        collect_objects([make_star("slow", 0)])
    with pytest.raises(ConfigError, match=r'class="fest".*Did you mean "fast"'):
        collect_objects([make_star("fast", 0)], classes=read_classes("fest,slow"))
    short = [make_star("slow", 0, length=4), make_star("fast", 0)]
    with pytest.raises(ConfigError, match="no objects of slow; left out: 1 short"):
        collect_objects(short, classes=read_classes("fast,slow"))
    with pytest.raises(ConfigError, match="min_observations=0"):
        collect_objects(short, min_observations=0)


@pytest.mark.slow
def test_twins_of_the_real_catalog_are_those_known(shared):
    anchors = shared / "reference" / "anchors"
    known = json.loads((anchors / "duplicates_dropped.json").read_text("utf-8"))
    classes = read_classes("EB=EB_unspec+EC+ED+ESD,MIRA,RRAB,RRC,DSCT")
    curves = read_light_curves(shared / "data" / "asas_acvs.parquet", "table")
    curves = (
        LightCurve(
            *(values[curve.mag_err < 1] for values in curve.to_array().T),
            object_id=curve.object_id,
            class_name=curve.class_name,
        )
        for curve in curves
        if (curve.mag_err < 1).any()
    )
    objects = collect_objects(curves, classes=classes)
    assert sorted(objects.twins) == known["asas"]
