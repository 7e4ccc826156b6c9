"""Dynamic labels are the teachers' word on the very batch; hard labels cost two bytes a stored image."""

import torch

from infer.labels.base import SoftLabelLoss
from infer.labels.dynamic import DynamicLabels
from infer.labels.hard import HardLabels
from infer.methods.registry import distilled_set
from infer.teachers.teacher import Teacher
from infer.training.batches import Batch


def test_dynamic_labels_look_at_the_mixed_images(make_context):
    context = make_context()
    teachers = [Teacher(context, arch) for arch in context.config.ensemble]
    labels = DynamicLabels(context, teachers, SoftLabelLoss(5.0))
    images = torch.randn(4, 3, 8, 8)
    student = torch.randn(4, 10, requires_grad=True)
    batch = Batch(images, torch.arange(4), torch.arange(4), 0.5)
    loss = labels.objective(context.device, context.data.normalisation)(student, batch)
    with torch.no_grad():
        expected = sum(teacher.network()(images) for teacher in teachers) / len(teachers)
    torch.testing.assert_close(loss, SoftLabelLoss(5.0)(student, expected), rtol=1e-4, atol=1e-6)
    loss.backward()
    assert student.grad.abs().sum() > 0
    assert labels.label_bytes == 0 and set(labels.parents.values()) == set(teachers)


def test_hard_labels_are_charged_per_stored_image(make_context):
    context = make_context()
    labels = HardLabels(distilled_set(context), label_smoothing=0.0)
    assert labels.label_bytes == 3 * 10 * 2


def test_the_loss_has_no_temperature_squared():
    student, teacher = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    wide, narrow = (SoftLabelLoss(t)(student, teacher).item() for t in (30.0, 1.0))
    assert wide < narrow / 100


def test_the_loss_is_multiplied_by_the_temperature_squared_on_demand():
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    plain, scaled = (SoftLabelLoss(20.0, times_t2)(student, teacher) for times_t2 in (False, True))
    torch.testing.assert_close(scaled, 400 * plain)
    assert SoftLabelLoss(20.0).settings != SoftLabelLoss(20.0, times_t2=True).settings
